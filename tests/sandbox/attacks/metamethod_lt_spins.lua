-- technique: loops in __lt under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__lt = function() while true do end end})
  while true do pcall(function() return t < t end) end
end
