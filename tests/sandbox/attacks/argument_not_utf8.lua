-- technique: hands bytes that are no text to every library; must: harmless
function run(input)
  local bad = "\xff\xfe\0"
  pcall(json.decode, bad) pcall(json.encode, {bad}) pcall(fail, bad, bad) pcall(utf8.len, bad) pcall(string.format, bad, bad)
  pcall(error, bad)
  return "taken" 
end
