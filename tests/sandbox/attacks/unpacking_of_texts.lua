-- technique: reads a text of a megabyte out of another; must: limit
function run(input)
  local s = string.pack('z', ('x'):rep(1 << 20))
  while true do string.unpack('z', s) end
end
