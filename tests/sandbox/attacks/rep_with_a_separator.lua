-- technique: repeats with a separator of a megabyte; must: limit
function run(input)
  local s = ('y'):rep(1 << 20)
  while true do pcall(string.rep, 'x', 1 << 20, s) end
end
