-- technique: decodes brackets without an end; must: limit
function run(input)
  while true do pcall(json.decode, ('['):rep(500000)) end
end
