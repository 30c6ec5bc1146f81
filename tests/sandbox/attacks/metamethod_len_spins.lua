-- technique: loops in __len under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__len = function() while true do end end})
  while true do pcall(function() return #t end) end
end
