-- deterministic: equal items keep their order
function run(input)
  local t = {}
  for i = 1, 400 do t[i] = {key = i * 7 % 5, i = i} end
  table.sort(t, function(a, b) return a.key < b.key end)
  local out = {}
  for i, each in ipairs(t) do out[i] = each.i end
  return out
end
