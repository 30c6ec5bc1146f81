-- technique: recurses without an end; must: limit
function run(input)
  local function f() return 1 + f() end
  return f()
end
