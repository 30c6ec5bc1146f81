-- technique: loops in __tostring under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__tostring = function() while true do end end})
  while true do pcall(function() return tostring(t) end) end
end
