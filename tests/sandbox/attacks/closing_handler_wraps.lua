-- technique: starts a coroutine that loops in a closing handler; must: limit
function run(input)
  local guard = setmetatable({}, {__close = function() coroutine.wrap(function() while true do end end)() end})
  while true do pcall(function() local x <close> = guard end) end
end
