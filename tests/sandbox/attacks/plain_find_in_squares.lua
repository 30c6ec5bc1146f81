-- technique: looks for half of a megabyte of the same letter; must: limit
function run(input)
  local s = ('a'):rep(1 << 20)
  while true do s:find(('a'):rep(1 << 19) .. 'b', 1, true) end
end
