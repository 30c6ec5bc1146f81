-- technique: raises the very texts by which limits are known; must: harmless
function run(input)
  local caught = 0
  for _, text in ipairs{"deadline", "fuel", "?:-1: not enough", "stack overflows", "not enough memory?"} do
    if not pcall(error, text, 0) then caught = caught + 1 end
  end
  return caught
end
