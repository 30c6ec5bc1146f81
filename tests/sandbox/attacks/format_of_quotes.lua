-- technique: quotes a text of NUL bytes; must: limit
function run(input)
  local s = ('\0'):rep(200000)
  while true do ('%q'):format(s) end
end
