-- technique: loops in __le under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__le = function() while true do end end})
  while true do pcall(function() return t <= t end) end
end
