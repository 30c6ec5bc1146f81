-- technique: takes more bytes of a text than the stack holds, for ever; must: limit
function run(input)
  local s = ('x'):rep(1 << 21)
  while true do pcall(string.byte, s, 1, -1) end
end
