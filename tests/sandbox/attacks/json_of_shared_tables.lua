-- technique: encodes a graph that doubles at each level; must: limit
function run(input)
  local t = {1}
  for i = 1, 60 do t = {t, t} end
  while true do pcall(json.encode, t) end
end
