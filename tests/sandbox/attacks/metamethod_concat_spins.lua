-- technique: loops in __concat under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__concat = function() while true do end end})
  while true do pcall(function() return t .. '' end) end
end
