-- deterministic: the border of lists with holes
function run(input)
  local t = {1, 2, nil, 4, nil, 6}
  local u = {}
  for i = 1, 20 do u[i] = i end
  for i = 3, 17, 2 do u[i] = nil end
  return {#t, #u, select('#', table.unpack(t, 1, 6))}
end
