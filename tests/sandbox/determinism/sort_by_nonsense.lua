-- deterministic: a comparator that contradicts itself
function run(input)
  local t, n = {}, 0
  for i = 1, 100 do t[i] = i end
  table.sort(t, function(a, b) n = n + 1 return (a * b + n) % 3 == 0 end)
  return {t, n}
end
