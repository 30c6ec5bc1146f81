-- technique: counts through all integers, and by the smallest float; must: limit
function run(input)
  for i = math.mininteger, math.maxinteger do end
  for x = 0.0, 1e-300, 5e-324 do end
end
