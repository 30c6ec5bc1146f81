-- technique: keeps closures without an end; must: limit
function run(input)
  local kept = {}
  while true do local a, b, c = 1, 2, 3 kept[#kept + 1] = function() return a, b, c end end
end
