-- technique: joins a range beyond the length that holds empty texts; must: limit
function run(input)
  local t = {}
  for i = 1, 300000 do t[-i] = '' end
  while true do pcall(table.concat, t, '', -300000, 0) end
end
