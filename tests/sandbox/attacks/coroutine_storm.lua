-- technique: starts coroutines that are each too short to be counted; must: limit
function run(input)
  while true do coroutine.wrap(function() for i = 1, 200 do end end)() end
end
