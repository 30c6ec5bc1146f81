-- technique: inserts into a table that lies about its length; must: limit
function run(input)
  table.insert(setmetatable({}, {__len = function() return 1 << 50 end}), 1, 1)
end
