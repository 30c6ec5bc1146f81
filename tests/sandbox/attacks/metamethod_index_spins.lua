-- technique: loops in __index under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__index = function() while true do end end})
  while true do pcall(function() return t.x end) end
end
