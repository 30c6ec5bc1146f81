-- technique: returns a small graph that is endless as text; must: limit
function run(input)
  local t = {1}
  for i = 1, 60 do t = {t, t} end
  return t
end
