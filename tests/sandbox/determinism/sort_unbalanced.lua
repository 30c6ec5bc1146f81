-- deterministic: a list on which the reference asks the clock
function run(input)
  local t = {}
  for i = 1, 600 do t[i] = {i % 2 == 0 and i or -i, i} end
  table.sort(t, function(a, b) return a[1] // 50 < b[1] // 50 end)
  local out = {}
  for i, each in ipairs(t) do out[i] = each[2] end
  return out
end
