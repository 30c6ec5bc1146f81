-- technique: passes control round a ring of coroutines; must: limit
function run(input)
  local ring = {}
  for i = 1, 100 do
    ring[i] = coroutine.wrap(function() while true do if ring[i + 1] then ring[i + 1]() end coroutine.yield() end end)
  end
  while true do ring[1]() end
end
