-- technique: loops in __add under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__add = function() while true do end end})
  while true do pcall(function() return t + 1 end) end
end
