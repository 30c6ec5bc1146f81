-- technique: changes the list that is being sorted; must: limit
function run(input)
  while true do
    local t = {}
    for i = 1, 50 do t[i] = i end
    pcall(table.sort, t, function(x, y) t[#t + 1], t[1] = 1, nil return true end)
  end
end
