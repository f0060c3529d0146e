export { isTurnOver, takeTurn } from "@restante/host";
