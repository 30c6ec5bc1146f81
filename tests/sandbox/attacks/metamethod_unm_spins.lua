-- technique: loops in __unm under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__unm = function() while true do end end})
  while true do pcall(function() return -t end) end
end
