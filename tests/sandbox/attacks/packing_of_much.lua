-- technique: packs, measures and reads formats of a megabyte; must: limit
function run(input)
  local f = (' '):rep(1 << 20)
  while true do
    pcall(string.packsize, f)
    pcall(string.unpack, f, '')
    pcall(string.pack, 'c2147483600', '')
  end
end
