-- technique: makes large texts larger and reverses them; must: limit
function run(input)
  local s = ('x'):rep(1 << 21)
  while true do s:upper() s:reverse() end
end
