-- technique: calls with one argument more each time, without a frame; must: limit
function run(input)
  local function f(...) if select('#', ...) > 200 then return f() end return f(1, ...) end
  return f()
end
