-- technique: doubles at each level what it catches; must: limit
function run(input)
  local function tree() pcall(tree) pcall(tree) end
  tree()
end
