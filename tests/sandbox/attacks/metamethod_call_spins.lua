-- technique: loops in __call under pcall; must: limit
function run(input)
  local t = setmetatable({}, {__call = function() while true do end end})
  while true do pcall(function() return t() end) end
end
