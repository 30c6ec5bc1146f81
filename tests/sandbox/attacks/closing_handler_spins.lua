-- technique: loops in the closing handler of a coroutine that has failed; must: limit
function run(input)
  local guard = setmetatable({}, {__close = function() while true do end end})
  while true do pcall(coroutine.wrap(function() local x <close> = guard error("x") end)) end
end
