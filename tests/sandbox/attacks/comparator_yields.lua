-- technique: yields out of a comparator, for ever; must: limit
function run(input)
  local step = coroutine.wrap(function()
    while true do table.sort({3, 1, 2}, function() coroutine.yield() return true end) end
  end)
  while true do step() end
end
