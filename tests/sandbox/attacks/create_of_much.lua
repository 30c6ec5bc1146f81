-- technique: makes room for much in tables that stay empty; must: limit
function run(input)
  while true do
    pcall(table.create, 1 << 18, 1 << 18)
    pcall(table.create, (1 << 31) - 1)
  end
end
