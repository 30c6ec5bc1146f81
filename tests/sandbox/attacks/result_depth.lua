-- technique: returns a value of a thousand levels; must: error
function run(input)
  local t = {}
  for i = 1, 1000 do t = {t} end
  return t
end
