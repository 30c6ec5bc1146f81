-- technique: loops in a coroutine of a coroutine; must: limit
function run(input)
  coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()
end
