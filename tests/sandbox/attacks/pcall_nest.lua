-- technique: goes through two hundred pcalls at each step; must: limit
function run(input)
  local function nest(n)
    if n == 0 then while true do end end
    pcall(nest, n - 1)
    while true do end
  end
  nest(150)
end
