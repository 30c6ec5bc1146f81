-- technique: removes from a table that lies about its length; must: limit
function run(input)
  table.remove(setmetatable({}, {__len = function() return 1 << 50 end}), 1)
end
