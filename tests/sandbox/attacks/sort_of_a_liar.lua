-- technique: sorts a table that lies about its length; must: limit
function run(input)
  while true do pcall(table.sort, setmetatable({}, {__len = function() return 1 << 29 end, __index = function(_, i) return i end})) end
end
