-- technique: fills a table; must: limit
function run(input)
  local t = {}
  for i = 1, math.huge do t[i] = ('x'):rep(2000) .. i end
end
