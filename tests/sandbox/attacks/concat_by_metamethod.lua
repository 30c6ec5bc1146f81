-- technique: joins a table whose items are made by a C function; must: limit
function run(input)
  while true do pcall(table.concat, setmetatable({}, {__index = rawlen}), '', 1, 1 << 40) end
end
