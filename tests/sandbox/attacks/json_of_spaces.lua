-- technique: decodes a megabyte of spaces; must: limit
function run(input)
  local s = (' '):rep(1 << 20)
  while true do pcall(json.decode, s) end
end
