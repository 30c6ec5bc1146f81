-- deterministic: what the time would be asked by
function run(input)
  return {type(os), type(io), type(collectgarbage), type(context), pcall(function() return os.clock() end)}
end
