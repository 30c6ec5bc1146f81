-- technique: asks for the first key of a large table that always changes; must: limit
function run(input)
  local t = {}
  for i = 1, 20000 do t['k' .. i] = i end
  while true do next(t) t.x = (t.x or 0) + 1 next(t, 'k7') end
end
