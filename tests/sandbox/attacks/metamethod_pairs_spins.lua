-- technique: loops in __pairs under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__pairs = function() while true do end end})
  while true do pcall(function() for k in pairs(t) do end end) end
end
