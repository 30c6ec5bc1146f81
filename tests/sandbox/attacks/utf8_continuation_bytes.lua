-- technique: walks over a character of a megabyte; must: limit
function run(input)
  local s = 'a' .. ('\x80'):rep(1 << 20)
  while true do
    pcall(utf8.offset, s, 2, 1)
    pcall(utf8.offset, s, -1)
    pcall(utf8.offset, s, 0, #s)
  end
end
