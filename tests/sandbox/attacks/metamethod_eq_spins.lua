-- technique: loops in __eq under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__eq = function() while true do end end})
  while true do pcall(function() return t == setmetatable({}, getmetatable(t)) end) end
end
